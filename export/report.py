"""How an exported network compares with the network: rows, a table, a file."""

import dataclasses
import json
from dataclasses import dataclass

from tfstyle.pictures.files import write

# Largest difference of a pixel and mean difference of a picture, in 1/255, up to which an export
# is as good as its format can be; beside them the worst of the networks that ship with the
# package, on eight photographs of 0.3 megapixels.
TOLERANCES = {
    "float32": (0.1, 0.01),  # 0.056 and 0.0045
    "float16": (1.0, 0.15),  # 0.22 and 0.057
    "dynamic": (None, 3.0),  # 23 and 1.8: single pixels differ much, and nobody sees them
    "int8": (None, 3.0),  # 86 and 2.8
    "file": (None, 0.1),  # 6 and 0.002: JPEG makes several of one level
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """How a picture came out.

    Attributes:
        picture: Name of the photograph.
        signature: What was asked to paint it.
        height: In pixels.
        width: In pixels.
        maximum: Largest difference in 1/255.
        mean: Mean difference in 1/255.
        psnr: Signal to noise ratio in dB, at most 120.
        latency_ms: Median of several runs.
        passed: Whether the differences are within the tolerance.
    """

    picture: str
    signature: str
    height: int
    width: int
    maximum: float
    mean: float
    psnr: float
    latency_ms: float
    passed: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """How an exported network compares with the network.

    Attributes:
        export: Path of the export.
        metadata: What the export says of itself.
        file_bytes: Size of the file, or of all files in the folder.
        memory_mb: What loading it and painting the last picture takes at its peak, without the
            libraries' own memory. None where the system does not tell.
        warmup_requests: Number of warm-up requests that were replayed.
        rows: Tuple of `Row`.
    """

    export: str
    metadata: dict
    file_bytes: int
    memory_mb: float | None
    warmup_requests: int
    rows: tuple[Row, ...]

    @property
    def passed(self):
        """Whether all pictures are within the tolerance."""
        return all(row.passed for row in self.rows)

    def to_json(self):
        """Return the report as JSON text."""
        fields = dataclasses.asdict(self)
        return json.dumps({"passed": self.passed, "tolerances": TOLERANCES} | fields, indent=2)

    def to_text(self):
        """Return the report as a table."""
        head = f"{'picture':<20} {'signature':<16} {'size':>9}  {'max':>7} {'mean':>7} {'PSNR':>6}"
        memory = "?" if self.memory_mb is None else f"{self.memory_mb:.0f}"
        size = f"{self.rows[-1].height}x{self.rows[-1].width}"
        lines = [
            f"{self.export}: {self.metadata['precision']}, {self.file_bytes / 1e6:.2f} MB; takes "
            f"{memory} MB of memory at {size}",
            f"{head} {'ms':>6}   (differences in 1/255)",
        ]
        lines += [
            f"{row.picture[:20]:<20} {row.signature:<16} {row.height:>4}x{row.width:<4}  "
            f"{row.maximum:7.3f} {row.mean:7.4f} {row.psnr:6.1f} {row.latency_ms:6.0f}   "
            f"{'ok' if row.passed else 'FAILED'}"
            for row in self.rows
        ]
        if self.warmup_requests:
            lines.append(f"{self.warmup_requests} warm-up requests replayed")
        return "\n".join(lines)

    def save(self, path):
        """Write the report as JSON, whole or not at all."""
        write(path, self.to_json())


class ParityError(ValueError):
    """An export that does not paint as the network does.

    Attributes:
        report: The `Report`.
    """

    def __init__(self, report):
        super().__init__(
            f"The export as {report.metadata['precision']} differs from the network by more than "
            "its format should, and was not kept."
        )
        self.report = report
