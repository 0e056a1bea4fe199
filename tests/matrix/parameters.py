"""Parameters, IncludeFile, Config: of every type, from every place that Metaflow takes them from."""

from matrix import foreachs, graphs
from matrix.table import Body, Launch, Row

KEEP = "self.seen = {name: getattr(self, name) for name in current.parameter_names}"

TYPES = """
    whole = Parameter("whole", type=int, default=3)
    real = Parameter("real", type=float, default=0.5)
    flag = Parameter("flag", type=bool, default=False)
    text = Parameter("text", default="a b")
    table = Parameter("table", type=JSONType, default='{"a": [1, null, {"b": 2.5}]}')
    rows = Parameter("rows", type=JSONType, default={"c": [1, 2]})
    dashed = Parameter("with-dash", default="dash")
    lists = Parameter("lists", separator=",", default="a,b,c")
    absent = Parameter("absent", default=None)
    made = Parameter("made", default=lambda context: f"{context.flow_name} {context.parameter_name}")
    counted = Parameter("counted", type=int, default=lambda context: 12)
    described = Parameter("described", help="help", required=False, default=1, show_default=True)
"""
TYPED = Body("Typed", head="from metaflow import JSONType, Parameter", attributes=TYPES, work=KEEP)
GIVEN = Body("Given", head="from metaflow import JSONType, Parameter", attributes=TYPES, work=KEEP)
GIVEN_ARGUMENTS = (
    *("--whole", "-4", "--real", "1e-3", "--flag", "1", "--text", "ünï 'quoted' \"", "--table", "[1, {}]"),
    *("--rows", "null", "--with-dash", "-", "--lists", "x,y", "--absent", "there", "--made", "by hand"),
)

REQUIRED = Body(
    "Required",
    head="from metaflow import Parameter",
    attributes='needed = Parameter("needed", type=int, required=True)\nother = Parameter("other", required=True)',
    work="self.sum = self.needed + len(self.other)",
)

ENVIRONED = Body(
    "Environed",
    head="from metaflow import Parameter",
    attributes='number = Parameter("number", type=int, default=1)\nword = Parameter("a_word", default="none")',
    work="self.twice = self.number * 2, self.word",
)

INCLUDED = Body(
    "Included",
    head="from metaflow import IncludeFile",
    attributes="""
        words = IncludeFile("words", default="data/words.txt")
        raw = IncludeFile("raw", is_text=False, default="data/bytes.bin")
        latin = IncludeFile("latin", encoding="latin-1", default="data/words.txt")
        given = IncludeFile("given")
    """,
    work="self.lengths = len(self.words), len(self.raw), len(self.latin), len(self.given), type(self.raw).__name__",
    end="self.read = self.words.split(), self.raw",
)

READ_ONLY = Body(
    "ReadOnly",
    head="from metaflow import Parameter",
    attributes='number = Parameter("number", default=1)\nfixed = [1]',
    work="""
        self.messages = []
        for name in ("number", "fixed"):
            try:
                setattr(self, name, 5)
            except AttributeError as error:
                self.messages.append(str(error))
        self.fixed.append(2)
        self.after = list(self.fixed)
    """,
)

CONFIG = "from metaflow import Config, Parameter, config_expr, environment"
CONFIG_FILE = Body(
    "ConfigFile",
    head=f"import os\n\n{CONFIG}",
    attributes="""
        settings = Config("settings", default="data/settings.json")
        rounds = Parameter("rounds", type=int, default=settings.rounds)
        rate = Parameter("rate", default=config_expr("settings.nested.rate * 2"))
    """,
    decorators='@environment(vars={"ROUNDS": config_expr("str(settings.rounds)"), "RATE": "r"})',
    work="""
        self.from_config = self.settings.nested.names[1], self.settings["key"], dict(self.settings.nested)
        self.from_environment = os.environ["ROUNDS"], os.environ["RATE"]
        self.kind = type(self.settings).__name__, self.rounds, self.rate
    """,
    end="self.rounds_again = self.settings.rounds",
)

CONFIG_VALUES = Body(
    "ConfigValues",
    head=f"""
        {CONFIG}


        def ini(text):
            return dict(line.split(" = ") for line in text.splitlines())
    """,
    attributes="""
        valued = Config("valued", default_value='{"a": {"b": [1, 2]}}')
        dictionary = Config("dictionary", default_value={"x": 1})
        given = Config("given", default_value={"y": 1})
        parsed = Config("parsed", default="data/settings.ini", parser=ini)
        plain = Config("plain", default="data/words.txt", plain=True)
        missing = Config("missing", required=False)
        named = Config("dashed-name", default_value={"z": 3})
    """,
    work="""
        self.values = self.valued.a.b[0], self.dictionary.x, self.given.y, self.parsed.name, self.plain, self.missing
        self.dashed = self.named.z
    """,
)

CONFIG_ONLY = Body(
    "ConfigOnly",
    head=CONFIG,
    attributes='settings = Config("settings", default="data/settings.json")',
    work="self.name = self.settings.nested.names[0]",
)

CONSTANTS = Body(
    "Constants",
    attributes="""
        word = "fixed"
        table = {"a": [1]}
        point = common.Point(1, 2)
        nothing = None
        _hidden = 5
    """,
    work="""
        self.table["a"].append(2)
        self.copy = self.table, self.point.x, self._hidden
    """,
    end="self.later = self.table, self.nothing",
)

ROWS = (
    Row(graphs.LINEAR, TYPED),
    Row(graphs.LINEAR, GIVEN, (Launch(GIVEN_ARGUMENTS),)),
    Row(foreachs.FOREACH, TYPED),
    Row(graphs.ENDS, REQUIRED, (Launch(("--needed", "5", "--other", "five")),)),
    Row(
        graphs.ENDS,
        ENVIRONED,
        (Launch(environ={"METAFLOW_RUN_NUMBER": "21", "METAFLOW_RUN_A_WORD": "from the environment"}),),
    ),
    Row(graphs.LINEAR, INCLUDED, (Launch(("--given", "pyproject.toml")),)),
    Row(graphs.BRANCH, INCLUDED, (Launch(("--given", "data/settings.json")),)),
    Row(graphs.LINEAR, READ_ONLY),
    Row(graphs.LINEAR, CONFIG_FILE),
    Row(foreachs.FOREACH, CONFIG_FILE, (Launch(("--rounds", "9")),)),
    Row(graphs.LINEAR, CONFIG_VALUES, (Launch(options=("--config-value", "given", '{"y": 8}')),)),
    Row(
        graphs.ENDS, CONFIG_ONLY, (Launch(options=("--config-value", "settings", '{"nested": {"names": ["given"]}}')),)
    ),
    Row(graphs.LINEAR, CONFIG_ONLY, (Launch(options=("--config", "settings", "data/other.json")),)),
    Row(graphs.BRANCH, CONFIG_ONLY),
    Row(graphs.LINEAR, CONSTANTS),
    Row(graphs.BRANCH, CONSTANTS),
)
