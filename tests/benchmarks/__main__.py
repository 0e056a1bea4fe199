"""python tests/benchmarks [NAME ...] [--quick] [--json FILE]: kit against its peers, in one go on one machine."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(1, str(HERE.parent))  # what the tests share

NAMES = ("load", "replay", "artifacts", "s3", "completion", "envs", "notebooks")


def main() -> None:
    """Run the benchmarks that were named, else all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="few repetitions, and no join of 1,000 inputs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to a file too")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    from harness import show, write_json

    json_file = args.json and args.json.absolute()
    found = []
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as folder:
        _settle(Path(folder))
        for name in args.names or NAMES:
            root = Path(folder, name)
            root.mkdir()
            module = __import__(f"bench_{name}")
            for result in module.results(root.resolve(), args.quick):
                show(result)
                found.append(result)
        os.chdir(HERE)
    if json_file:
        write_json(found, json_file)


def _settle(folder: Path) -> None:
    """Be nobody in particular, and let every process find byte code: without it, imports are all that is measured."""
    for name in [name for name in os.environ if name.startswith("METAFLOW_")]:
        del os.environ[name]
    os.environ.update(USERNAME="benchmark", METAFLOW_HOME=str(folder / "no-config"), IPYTHONDIR=str(folder / "ipython"))
    os.environ.update(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(folder / "byte-code"))


if __name__ == "__main__":
    main()
