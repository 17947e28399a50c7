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
        changed = {name: _with(bone, self.refine(bone)) for name, bone in bones.items()
                   if self.has(name)}  # fmt: skip
        return {**bones, **changed}

    def refine(self, bone: Bone) -> NDArray[np.bool_]:
        """What a rule for single bones makes of one."""
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


class Once:
    """Rules on the masks of one image, none of which does the same work twice.

    A rule's result depends on the bone and its mask, or on all of them; a mask is known by its
    identity, since rules that change nothing hand it on.
    """

    def __init__(self) -> None:
        self._rules: dict[int, tuple[AnyRule, AnyRule]] = {}

    def of(self, scoped: ScopedRule) -> ScopedRule:
        """The same rule for the same bones, remembering."""
        rule = scoped.rule
        if id(rule) not in self._rules:
            self._rules[id(rule)] = (rule, _remembering(rule))
        return ScopedRule(self._rules[id(rule)][1], scoped.classes)


def _remembering(rule: AnyRule) -> AnyRule:
    if isinstance(rule, HandRule):
        return _OnceAHand(rule)
    return _OnceABone(rule)


class _OnceABone:
    """A BoneRule that remembers."""

    def __init__(self, rule: PostProcessor | BoneRule) -> None:
        self._rule = rule
        self._known: dict[tuple[str, int], tuple[Bone, NDArray[np.bool_]]] = {}

    def refine(self, bone: Bone) -> NDArray[np.bool_]:
        """As the rule does."""
        key = (bone.class_name, id(bone.mask))
        if key not in self._known:  # the bone is kept, so that its mask's id stays its own
            self._known[key] = (bone, ScopedRule(self._rule).refine(bone))
        return self._known[key][1]


class _OnceAHand:
    """A HandRule that remembers."""

    def __init__(self, rule: HandRule) -> None:
        self._rule, self.exchanges = rule, rule.exchanges
        self._known: dict[tuple[tuple[str, int], ...], tuple[Bones, Arrangement]] = {}

    def arrange(self, bones: Mapping[str, Bone], size: tuple[int, int]) -> Arrangement:
        """As the rule does."""
        key = tuple((name, id(bone.mask)) for name, bone in bones.items())
        if key not in self._known:
            self._known[key] = (dict(bones), self._rule.arrange(bones, size))
        return self._known[key][1]


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
