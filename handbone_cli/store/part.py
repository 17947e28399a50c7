"""A part of a store: what one of several processes writes beside the store's writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handbone_cli.store.journal import journal_of
from handbone_cli.store.lock import WriterLock, lock_of
from handbone_cli.store.store import Store, is_done, write_image

if TYPE_CHECKING:
    from pathlib import Path

    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.store import ImageEntry


class StorePart:
    """What one of several processes adds to a store that the first of them has open.

    It writes its images' files and notes them in a journal of its own, so that nothing of an image
    has to go to another process; what a process has noted stays, whichever is killed.
    """

    def __init__(self, path: Path, part: int) -> None:
        """Begin; the lock tells later writers that this process may not be over yet.

        Raises:
            HandboneError: there is no store; a process of this number writes it.
        """
        self.path = path
        self._journal = journal_of(path, part)
        self._images: dict[str, Any] = Store.open(path).manifest["images"]
        self._lock = WriterLock(lock_of(path, part))

    def has(self, image_id: str, sha256: str) -> bool:
        """Whether an image of just these bytes was done when this began."""
        return is_done(self.path, image_id, self._images.get(image_id), sha256)

    def write(self, image_id: str, probabilities: BoxedProbabilities, entry: ImageEntry) -> None:
        """Add one image, or put another in its place."""
        write_image(self.path, self._journal, image_id, probabilities, entry)

    def close(self) -> None:
        """Leave the journal to the writer."""
        self._lock.release()
