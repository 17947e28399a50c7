from __future__ import annotations

import json

from handbone_cli.testing import hb


def test_facts_as_json_and_as_a_table():
    done = hb("doctor", "--json")
    assert done.code == 0
    facts = json.loads(done.out)
    assert {"handbone", "python", "cores", "memory", "torch", "gpu", "plugins"} <= set(facts)
    assert facts["plugins"].endswith("components")
    table = hb("doctor").out.splitlines()
    assert table[0].split() == ["what", "found"]
    assert len(table) == 1 + len(facts)
