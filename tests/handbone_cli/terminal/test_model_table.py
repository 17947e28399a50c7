from __future__ import annotations

import io
import sys

from handbone_cli.terminal.model_table import MEANING, show_figures, show_models

ROW = {
    "name": "hrnet_w48",
    "parameters": 65_859_379,
    "macs": 373_926_395_904,
    "memory_bytes": 6_309_919_468,
    "batch": 1,
    "divisor": 32,
    "minimum": 33,
    "pretrained": True,
    "paper": "arXiv:1908.07919",
    "distribution": "handbone",
    "version": "0.1.0",
    "reason": "",
}
PAIR = ROW | {"name": "pspnet", "batch": 2, "pretrained": False, "paper": "doi:10.1/2"}
NOTHING = dict.fromkeys(("parameters", "macs", "memory_bytes", "batch", "divisor", "minimum"))
BROKEN = ROW | NOTHING | {"name": "odd", "distribution": "odd-net", "paper": "", "reason": "why."}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_table(capsys):
    show_models([ROW])
    assert capsys.readouterr().out == (
        "model      params   GMACs   GiB   pretrained  arXiv\n"
        "hrnet_w48   65.9 M   373.9   5.9  yes         1908.07919\n"
        f"{MEANING}\n"
    )


def test_marks_reasons_and_other_distributions(capsys):
    show_models([PAIR, BROKEN, BROKEN | {"name": "odd_large", "reason": ""}])
    assert capsys.readouterr().out == (
        "model      params   GMACs   GiB    pretrained  arXiv\n"
        "pspnet      65.9 M   373.9   5.9*  no          doi\n"
        "odd        -        -       -      yes         -\n"
        "odd_large  -        -       -      yes         -\n"
        f"{MEANING}\n"
        "* of 2 images, the fewest that the model trains on.\n"
        "from odd-net 0.1.0: odd, odd_large\n"
        "odd: why.\n"
    )


def test_names_are_whole_in_80_columns(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "80")
    name = "upernet_convnext_large"
    show_models([PAIR | {"name": name, "macs": 1568 * 10**9, "memory_bytes": 20 * 2**30}, BROKEN])
    assert name in screen.getvalue()
    assert "…" not in screen.getvalue()


def test_every_smallest_batch_is_named(capsys):
    show_models([PAIR, PAIR | {"batch": 3}, ROW])
    assert "\n* of 2 or 3 images, the fewest" in capsys.readouterr().out


def test_the_meaning_fits_into_80_columns():
    assert max(map(len, MEANING.splitlines())) < 80


def test_figures_of_one(capsys):
    show_figures(ROW)
    assert capsys.readouterr().out == (
        "figure         value\n"
        "parameters     65,859,379 (65.9 M)\n"
        "forward pass   373.9 GMACs, 1 image\n"
        "training step  5.9 GiB, 1 image, float32, AdamW\n"
        "image          1024 x 1024 px, 1 channel, 29 classes\n"
        "divisor        32 px; height and width are padded to its multiples\n"
        "minimum        33 px a side\n"
        "minimum_batch  1\n"
        "pretrained     yes\n"
        "paper          arXiv:1908.07919\n"
    )


def test_figures_that_are_missing(capsys):
    show_figures(PAIR | {"macs": None, "memory_bytes": None, "paper": "", "reason": "why."})
    lines = capsys.readouterr().out.splitlines()
    assert "forward pass   -" in lines
    assert "training step  -" in lines
    assert lines[-2:] == ["paper          -", "why."]


def test_figures_of_a_pair(capsys):
    show_figures(PAIR)
    line = "training step  5.9 GiB, 2 images, the fewest that it trains on, float32, AdamW"
    assert line in capsys.readouterr().out.splitlines()
