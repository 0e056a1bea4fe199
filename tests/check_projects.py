"""Small projects for the tests of `kit check`."""

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

TESTED = 'test_mode = Parameter("test_mode", type=bool, default=False)'
# Put together here, so that no scanner takes them for real ones.
TOKEN = "ghp" + "_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def flow(name, *steps, head="", body=""):
    """Write a flow: steps are texts, each the body of one; the names are start, b, c ..., end."""
    names = ["start", *(chr(ord("a") + n) for n in range(1, len(steps) - 1)), "end"][: len(steps)]
    lines = [
        "from metaflow import FlowSpec, Parameter, conda, pypi, pypi_base, step",
        head,
        "",
        f"class {name}(FlowSpec):",
    ]
    lines += [f"    {line}" for line in body.splitlines()]
    for at, (step, text) in enumerate(zip(names, steps, strict=True)):
        following = f"\nself.next(self.{names[at + 1]})" if at + 1 < len(names) else ""
        lines += [
            "    @step",
            f"    def {step}(self):",
            *(f"        {line}" for line in (text + following).splitlines()),
        ]
    return "\n".join([*lines, "", 'if __name__ == "__main__":', f"    {name}()", ""])


def notebook(path, *cells, runs=None, tags=()):
    """Write a notebook of code cells; a cell is its source, or that and its outputs."""
    nodes = []
    for cell in cells:
        source, *outputs = cell if isinstance(cell, tuple) else (cell,)
        nodes.append(new_code_cell(source, outputs=[new_output("stream", text=text) for text in outputs]))
    if tags:
        nodes[0].metadata["tags"] = list(tags)
    metadata = {"kit": {"runs": runs}} if runs else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=nodes, metadata=metadata), path)
