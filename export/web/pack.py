"""Pack the builds of LiteRT, which share most of their bytes, so that the wheel stays small."""

import io
import lzma
import shutil
import tarfile
from pathlib import Path

# A window that spans all builds: the second costs a tenth of the first.
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 26}]

built = Path(__file__).parent / "built"
archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    for path in sorted((built / "litert").iterdir()):
        entry = tarfile.TarInfo(f"litert/{path.name}")
        entry.size = path.stat().st_size
        tar.addfile(entry, io.BytesIO(path.read_bytes()))
packed = lzma.compress(archive.getvalue(), filters=FILTERS)
(built / "litert.tar.xz").write_bytes(packed)
shutil.rmtree(built / "litert")
print(*(f"{path.stat().st_size:>9,} {path.name}" for path in sorted(built.iterdir())), sep="\n")
