"""Exports: whole cubes of a store; masks of a store, a decision or a CSV; folders of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from handbone_cli.errors import HandboneError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from handbone_cli.decision.document import Decision
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import MaskSource, PackedMask
    from handbone_cli.store.store import Store

CUBES = ("npz", "npy")
MASKS = ("png", "packed", "contours", "coco")
MARK = "export.json"
"""The file that says what a folder of exports is of."""
CLASSES = "classes.txt"
COCO = "coco.json"


class Export(Protocol):
    """What is exported: some images, some classes, from wherever."""

    @property
    def image_ids(self) -> Sequence[str]:
        """Which, in this order."""

    @property
    def class_names(self) -> Sequence[str]:
        """Which, in this order."""

    def settings(self, kind: str) -> dict[str, Any]:
        """What a folder of these says of them: equal settings, equal files."""

    def made_of(self, image_id: str) -> Sequence[Path]:
        """The files that an image's export depends on."""

    def place(self, kind: str, image_id: str) -> str:
        """Its file or folder below the exports'."""

    def write(self, kind: str, path: Path, image_id: str) -> None:
        """Write it, whole or not at all."""


@dataclass(frozen=True)
class CubeExport:
    """Whole arrays of a store's images."""

    store: Store
    image_ids: Sequence[str]
    class_names: Sequence[str]
    dtype: str

    def settings(self, kind: str) -> dict[str, Any]:
        """The store, the form, the classes."""
        of = {"store": str(self.store.path.resolve()), "to": kind, "dtype": self.dtype}
        return {**of, "class_names": list(self.class_names)}

    def made_of(self, image_id: str) -> Sequence[Path]:
        """The store's file."""
        return files_of([self.store], image_id)

    def place(self, kind: str, image_id: str) -> str:
        """A file an image."""
        return f"{image_id}.{kind}"

    def write(self, kind: str, path: Path, image_id: str) -> None:
        """One array."""
        from handbone_cli.store.exporting import export_npy, export_npz

        found = self.store.load(image_id, self.class_names)
        if kind == "npz":
            export_npz(path, found, self.dtype, self.class_names)
        else:
            export_npy(path, found, self.dtype)


@dataclass(frozen=True)
class MaskExport:
    """Masks of a store, a decision or a CSV.

    Attributes:
        masks: of all images and classes.
        image_ids: those that are exported.
        class_names: those that are exported.
        origin: what the masks depend on besides the images.
        sources: image id -> the files that its masks are made of.
        image_name: image id -> the file name of its radiograph.
    """

    masks: MaskSource
    image_ids: Sequence[str]
    class_names: Sequence[str]
    origin: Mapping[str, Any]
    sources: Callable[[str], Sequence[Path]]
    image_name: Callable[[str], str]

    def settings(self, kind: str) -> dict[str, Any]:
        """Where they are from, the form, the classes."""
        return mask_settings(self.origin, kind, self.class_names)

    def made_of(self, image_id: str) -> Sequence[Path]:
        """The members' files, or the CSV."""
        return self.sources(image_id)

    def place(self, kind: str, image_id: str) -> str:
        """A folder of bones, a PNG, or outlines as the competition's folders have them."""
        if kind == "contours":
            return f"{self.masks.person(image_id)}/{image_id}.json"
        return image_id if kind == "png" else f"{image_id}.png"

    def write(self, kind: str, path: Path, image_id: str) -> None:
        """The masks of one image in one form."""
        from handbone_cli.results.mask_files import write_bones, write_outlines, write_packed

        mask = self.mask(image_id)
        if kind == "png":
            write_bones(path, mask, self.class_names)
        elif kind == "packed":
            write_packed(path, mask)
        else:
            write_outlines(path, mask, self.class_names, image_id)

    def mask(self, image_id: str) -> PackedMask:
        """The classes that are exported of one image."""
        from handbone_cli.masks import PackedMask

        found = self.masks.mask(image_id)
        every = list(self.masks.class_names)
        if list(self.class_names) == every:
            return found
        chosen, boxes = PackedMask.empty(found.size, len(self.class_names)), found.boxes()
        for place, index in enumerate(map(every.index, self.class_names)):
            chosen.add(place, boxes[index], found.crop(index, boxes[index]))
        return chosen

    def write_coco(self, path: Path, report: Callable[[int, int], None]) -> None:
        """All images in one file."""
        from handbone_cli.files import refuse_foreign
        from handbone_cli.results.coco import is_coco, write_coco

        refuse_foreign(path, "COCO's JSON", is_coco)
        images = [(image_id, self.image_name(image_id)) for image_id in self.image_ids]
        write_coco(path, images, self.class_names, self.mask, report)


def open_masks_to_export(
    path: Path,
    registry: Registry,
    *,
    on: Sequence[Path] = (),
    labels: str | None = None,
    threshold: float | None = None,
    images: Sequence[str] = (),
    bones: Sequence[str] = (),
) -> MaskExport:
    """Masks of a store, a decision or a CSV, all of them or some images and bones."""
    from handbone_cli.commands.wiring.masks import decided_masks, is_csv, open_decision

    if threshold is not None and (is_csv(path) or path.suffix == ".toml"):
        raise HandboneError(f"{path}: --threshold goes with a store; this has its masks decided.")
    if labels is not None and not is_csv(path):
        raise HandboneError(f"{path}: --labels goes with a CSV of masks.")
    if is_csv(path):
        found = _submitted(path, labels, registry)
    else:
        decision, stores = open_decision(path, on)
        if threshold is not None:
            decision = replace(decision, thresholds=decision.thresholds * 0 + threshold)
        masks = decided_masks(path, decision, stores, registry)
        found = MaskExport(
            masks,
            masks.image_ids,
            masks.class_names,
            origin_of(decision),
            lambda image_id: files_of(stores, image_id),
            lambda image_id: _image_name(stores[0].images[image_id].source, image_id),
        )
    ids = chosen_of(
        images, found.image_ids, lambda name: f"{path}: there is no image '{name}' in it."
    )
    names = chosen_of(
        bones,
        found.class_names,
        lambda name: f"{path}: no class is called '{name}'.",
        in_order=False,
    )
    return replace(found, image_ids=ids, class_names=names)


def _submitted(path: Path, labels: str | None, registry: Registry) -> MaskExport:
    from handbone_cli.commands.wiring.masks import open_submission

    masks, _ = open_submission(path, labels, registry)
    return MaskExport(
        masks,
        masks.image_ids,
        masks.class_names,
        {"csv": str(path.resolve())},
        lambda _image_id: [path],
        lambda image_id: _image_name(masks.file(image_id), image_id),
    )


def origin_of(decision: Decision) -> dict[str, Any]:
    """What masks depend on besides the images: stores, weights, thresholds and rules."""
    from handbone_cli.files import digest_json

    chosen = [decision.weights.tolist(), decision.thresholds.tolist(), list(decision.postprocess)]
    stores = [str(path.resolve()) for path in decision.members]
    return {"stores": stores, "decision": digest_json(chosen)}


def files_of(stores: Sequence[Store], image_id: str) -> list[Path]:
    """The stores' files of an image."""
    from handbone_cli.store.store import image_file

    return [image_file(store.path, image_id) for store in stores]


def _image_name(source: Path | str | None, image_id: str) -> str:
    from pathlib import Path

    return Path(source).name if source else f"{image_id}.png"


def chosen_of(
    named: Sequence[str],
    known: Sequence[str],
    fault: Callable[[str], str],
    *,
    in_order: bool = True,
) -> Sequence[str]:
    """What is named of what there is, in the order of that or as named; all by default.

    Raises:
        HandboneError: the sentence that `fault` makes of a name that there is not.
    """
    for name in named:
        if name not in known:
            hint = closest(name, known).split(" Known:")[0]
            meant = f" {hint}" if hint.startswith("Did") else ""
            raise HandboneError(fault(name) + meant)
    wanted = list(dict.fromkeys(named))
    return [name for name in known if name in named] if wanted and in_order else wanted or known


def folders(output: Path, kinds: Sequence[str]) -> dict[str, Path]:
    """Where each form goes: one to the folder itself, several to folders named after them."""
    unique = list(dict.fromkeys(kinds))
    return {kind: output if len(unique) == 1 else output / kind for kind in unique}


def refuse_forms(
    output: Path,
    kinds: Sequence[str],
    class_names: Sequence[str],
    settings: Callable[[str], dict[str, Any]],
) -> None:
    """Refuse forms that cannot hold these classes, and folders with other things in them.

    Args:
        output: where the forms will go.
        kinds: the forms.
        class_names: that are exported.
        settings: form -> what its folder will say.
    """
    from handbone_cli.files import refuse_claimed
    from handbone_cli.results.mask_files import require_file_names, require_packable

    if "packed" in kinds:
        require_packable(class_names)
    if "png" in kinds:
        require_file_names(class_names, "class")
    for kind, folder in folders(output, kinds).items():
        refuse_claimed(folder, MARK, settings(kind))


def refuse_forms_of_store(
    output: Path, kinds: Sequence[str], store: Path, manifest: Mapping[str, Any]
) -> None:
    """The same for the masks of a store that is to be written, with this in its manifest."""
    from handbone_cli.decision.document import of_store
    from handbone_cli.store.store import Store

    planned = Store(store, {**manifest, "images": {}})
    origin, names = origin_of(of_store(store, planned)), planned.class_names
    refuse_forms(output, kinds, names, lambda kind: mask_settings(origin, kind, names))


def mask_settings(
    origin: Mapping[str, Any], kind: str, class_names: Sequence[str]
) -> dict[str, Any]:
    """What a folder of masks says of them."""
    return {**origin, "to": kind, "class_names": list(class_names)}


def export_to(output: Path, kinds: Sequence[str], export: Export) -> list[str]:
    """Write the forms, refused before the first one is written; gives a line of each."""
    from handbone_cli.terminal.progress import progress

    refuse_forms(output, kinds, export.class_names, export.settings)
    lines = []
    for kind, folder in folders(output, kinds).items():
        with progress("Exporting") as report:
            made = export_all(export, kind, folder, report)
        count = len(export.image_ids)
        there = f", {count - made} were there" if made < count else ""
        lines.append(f"{folder}: {made} images written{there}, {len(export.class_names)} classes")
    return lines


def export_all(export: Export, kind: str, folder: Path, report: Callable[[int, int], None]) -> int:
    """Write what is not there from the same files; gives how many images were written."""
    from handbone_cli.files import claim_folder, write_text
    from handbone_cli.results.mask_files import require_file_names
    from handbone_cli.store.exporting import is_current, mark_current

    claim_folder(folder, MARK, export.settings(kind))
    if kind in {*CUBES, "packed"}:
        write_text(folder / CLASSES, "\n".join(export.class_names) + "\n")
    report(0, len(export.image_ids))
    if isinstance(export, MaskExport):
        if kind == "coco":
            export.write_coco(folder / COCO, report)
            return len(export.image_ids)
        if kind == "contours":
            people = [export.masks.person(image_id) for image_id in export.image_ids]
            require_file_names(people, "person")
    made = 0
    for done, image_id in enumerate(export.image_ids, start=1):
        path, sources = folder / export.place(kind, image_id), export.made_of(image_id)
        if not is_current(path, sources):
            export.write(kind, path, image_id)
            mark_current(path, sources)
            made += 1
        report(done, len(export.image_ids))
    return made
