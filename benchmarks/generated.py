"""How many hands a second one core draws: image and outlines, as `endless = true` asks for them.

python benchmarks/generated.py [HANDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import cv2

from handbone_cli.host.interfaces import DatasetContext
from handbone_cli.host.registry import installed

SIZES = (256, 512, 1024, 2048)


def main():
    hands = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    cv2.setNumThreads(0)
    print("| size | hands/s on one core, median of 3 (range) |\n|---|---|")
    for size in SIZES:
        options = {"people": 1, "size": size, "endless": True}
        dataset = installed().build("datasets", "generated", options, DatasetContext(None))
        rates = [rate(dataset, hands) for _ in range(3)]
        print(
            f"| {size} px | {statistics.median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f}) |"
        )
    print(f"\nload {os.getloadavg()[0]:.1f}")


def rate(dataset, hands):
    started = time.perf_counter()
    for number in range(hands):
        sample = dataset.draw(number)
        sample.read_image()
        sample.read_labels()
    return hands / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
