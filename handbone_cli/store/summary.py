"""What is in a store, at a glance: images, people, sizes, and disk against whole cubes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from handbone_cli.store.lock import writer_of
from handbone_cli.store.store import image_file

if TYPE_CHECKING:
    from handbone_cli.store.store import Store


def summarise(store: Store) -> dict[str, Any]:
    """The facts of a store, ready for JSON; the images' files are not opened.

    Bytes are those of the images' files. `against_float16` and `against_float32` say how many times
    as large (C, H, W) cubes of all images would be.
    """
    entries = store.images.values()
    files = [image_file(store.path, image_id) for image_id in store.images]
    size = sum(path.stat().st_size for path in files if path.exists())
    values = sum(entry.height * entry.width for entry in entries) * len(store.class_names)
    sizes = Counter((entry.height, entry.width) for entry in entries)
    seen = sum(entry.seen for entry in entries)
    imported = sum(entry.imported_sha256 != "" for entry in entries)
    return {
        "store": str(store.path),
        "images": len(entries),
        "images_asked_for": len(store.manifest.get("order", entries)),
        "files_missing": sum(not path.exists() for path in files),
        "people": len({entry.person for entry in entries}),
        "seen": seen / len(entries) if entries else 0.0,
        "imported": imported,
        "class_names": list(store.class_names),
        "sizes": [{"size": list(each), "images": count} for each, count in sizes.most_common()],
        "settings": dict(store.manifest["settings"]),
        "labels": store.manifest.get("labels"),
        "bytes": size,
        "bytes_an_image": size // len(entries) if entries else 0,
        "against_float16": 2 * values / size if size else 0.0,
        "against_float32": 4 * values / size if size else 0.0,
        "writer": writer_of(store.path),
        "digest": store.digest(),
    }
