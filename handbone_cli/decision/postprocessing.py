"""Lays spatial rules on the bones of an image: each in its box, none on another's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from handbone_cli.host.interfaces import Bone, BoneRule, HandRule, PostProcessor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Arrangement

Bones: TypeAlias = "dict[str, Bone]"
"""The bones of an image that have a box, by name."""
AnyRule: TypeAlias = "PostProcessor | BoneRule | HandRule"


@dataclass(frozen=True)
class ScopedRule:
    """A spatial rule and the bones that it is for; None: all."""

    rule: AnyRule
    classes: frozenset[str] | None = None

    def has(self, name: str) -> bool:
        """Whether it is for a bone."""
        return self.classes is None or name in self.classes

    def apply(self, bones: Bones, size: tuple[int, int]) -> Bones:
        """The bones of an image (H, W) after the rule; those that it leaves alone are the same."""
        if isinstance(self.rule, HandRule):
            return self._arrange(self.rule, bones, size)
        changed = {name: _with(bone, self._refine(bone)) for name, bone in bones.items()
                   if self.has(name)}  # fmt: skip
        return {**bones, **changed}

    def _refine(self, bone: Bone) -> NDArray[np.bool_]:
        if isinstance(self.rule, BoneRule):
            return self.rule.refine(bone)
        assert not isinstance(self.rule, HandRule)
        return self.rule(bone.mask, bone.class_name)

    def _arrange(self, rule: HandRule, bones: Bones, size: tuple[int, int]) -> Bones:
        made: Arrangement = rule.arrange(bones, size)
        result = {
            name: _with(bone, made.masks[name]) if name in made.masks and self.has(name) else bone
            for name, bone in bones.items()
        }
        if not rule.exchanges:
            return result
        for chain in _chains({old: new for old, new in made.names.items() if old in bones}):
            if all(self.has(name) for name in (*chain, *chain.values())):
                result = _renamed(result, chain)
        return result


def as_scoped(rule: AnyRule | ScopedRule) -> ScopedRule:
    """A rule for all bones unless it says for which."""
    return rule if isinstance(rule, ScopedRule) else ScopedRule(rule)


def _with(bone: Bone, mask: NDArray[np.bool_]) -> Bone:
    """The bone with another mask; the same one where nothing changed."""
    if mask.shape != bone.mask.shape:
        raise ValueError(f"a rule made {mask.shape} of {bone.class_name}'s {bone.mask.shape}")
    return bone if np.array_equal(mask, bone.mask) else replace(bone, mask=mask)


def _chains(names: Mapping[str, str]) -> list[dict[str, str]]:
    """Renamings that hang together, cut apart: cycles, and chains that end at a vacant name."""
    chains: list[dict[str, str]] = []
    for old, new in names.items():
        joined = [chain for chain in chains if {old, new} & {*chain, *chain.values()}]
        chains = [chain for chain in chains if chain not in joined]
        chains.append({key: value for chain in joined for key, value in chain.items()} | {old: new})
    return chains


def _renamed(bones: Bones, names: Mapping[str, str]) -> Bones:
    """The bones under other names; as they are if two would have one name."""
    taken = [names.get(name, name) for name in bones]
    if len(set(taken)) < len(taken):
        return bones
    return {
        new: bone if new == old else replace(bone, class_name=new)
        for new, (old, bone) in zip(taken, bones.items(), strict=True)
    }
