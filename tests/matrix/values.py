"""Artifacts of many types."""

from dataclasses import replace

from matrix import foreachs, graphs
from matrix.table import Body, Row

NUMPY = Body(
    "Numpy",
    head="import numpy as np",
    work="""
        rng = np.random.default_rng(3)
        self.matrix = rng.normal(size=(20, 3))
        self.integers = np.arange(5, dtype="int16")
        self.holes = np.array([1.0, np.nan, np.inf])
        self.words = np.array(["a", "bc"])
        self.objects = np.array([{"a": 1}, None, [2]], dtype=object)
        self.records = np.array([(1, 2.5)], dtype=[("x", "i4"), ("y", "f8")])
        self.scalar = np.float32(0.1)
        self.when = np.array(["2024-01-02", "NaT"], dtype="datetime64[D]")
        self.masked = np.ma.masked_array([1, 2, 3], mask=[0, 1, 0])
    """,
    end="self.mean = float(self.matrix.mean())",
)

PANDAS = Body(
    "Pandas",
    head="import pandas as pd",
    work="""
        self.frame = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, float("nan")]}, index=["r", "s"])
        self.series = self.frame["c"].rename("renamed")
        self.grouped = self.frame.groupby("a").size()
        self.kinds = pd.Series(["u", "v", "u"], dtype="category")
        self.dates = pd.date_range("2024-01-01", periods=3, tz="UTC")
        self.levels = pd.DataFrame({"v": [1, 2]}, index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)]))
        self.empty = pd.DataFrame()
    """,
    end="self.sum = int(self.frame['a'].sum())",
)

SKLEARN = Body(
    "Sklearn",
    head="from sklearn.linear_model import LinearRegression\nfrom sklearn.tree import DecisionTreeClassifier",
    work="""
        xs = [[0, 1], [1, 1], [2, 3], [3, 5]]
        self.line = LinearRegression().fit(xs, [1, 2, 3, 4])
        self.tree = DecisionTreeClassifier(random_state=0).fit(xs, [0, 0, 1, 1])
    """,
    end="self.guess = self.tree.predict([[2, 2]]).tolist()",
)

PLAIN = Body(
    "Plain",
    head="import datetime\nimport decimal\nimport fractions\nimport pathlib\nimport re\nimport uuid",
    work="""
        self.none = None
        self.flags = True, False
        self.text = "ünï \\u2603\\n"
        self.numbers = 1, -1, 10**40, 0.1, float("inf"), 1 + 2j
        self.hole = float("nan")
        self.holes = [float("nan"), {"a": float("nan")}, (float("nan"), 1)]
        self.names = {"delta", "alpha", "charlie", "bravo", "echo"}
        self.frozen = frozenset({("x", 1), ("y", 2)})
        self.mixed = {1, "one", None, 2.5}
        self.nested = {"a": [1, {"b": ({"c"}, [])}], 2: {"d": {"e": None}}}
        self.tables = {frozenset({"k", "l", "m"}): {"p", "q", "r"}}
        self.day = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc), datetime.timedelta(1)
        self.exact = decimal.Decimal("1.10"), fractions.Fraction(1, 3)
        self.path = pathlib.Path("a") / "b"
        self.pattern = re.compile("a+", re.I)
        self.id = uuid.UUID(int=5)
        self.empty = [], {}, (), set(), "", b""
        self.kinds = int, dict, common.Point, type(None)
        self.function = common.note
        self.error = ValueError("kept", 3)
        self.slice = slice(1, None), range(3), Ellipsis
        self.byte_array = bytearray(b"ab")
    """,
    end="self.again = sorted(self.names), self.nested",
)

BIG = Body(
    "Big",
    work="self.blob = bytes(range(256)) * 4096; self.many = list(range(20_000))",
    end="self.size = len(self.blob)",
)

LOCAL = Body(
    "Local",
    head="""
        import dataclasses
        import enum
        from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
        from typing import NamedTuple


        class Colour(enum.Enum):
            RED = "red"
            BLUE = "blue"


        @dataclasses.dataclass
        class Settings:
            rate: float
            names: list = dataclasses.field(default_factory=list)


        @dataclasses.dataclass(frozen=True)
        class Frozen:
            colour: Colour


        Pair = namedtuple("Pair", ["left", "right"])


        class Typed(NamedTuple):
            x: int
            y: str = "y"


        class Plain:
            def __init__(self, value):
                self.value = value
                self.me = self


        class Slotted:
            __slots__ = ("a",)


        def double(x):
            return 2 * x
    """,
    work="""
        self.colour = Colour.RED
        self.settings = Settings(0.5, ["a", {"b"}])
        self.frozen = Frozen(Colour.BLUE)
        self.pair = Pair(1, Typed(2))
        self.plain = Plain({"z", "y", "x"})
        self.slotted = Slotted()
        self.slotted.a = [1]
        self.function = double
        self.kind = Plain
        self.counts = Counter("abracadabra"), OrderedDict(b=1, a=2), deque([1, 2], maxlen=3)
        self.grouped = defaultdict(list, {"k": [1]})
    """,
    end="""
        self.colour_again = self.colour is Colour.RED, isinstance(self.plain, Plain), hasattr(self, "function")
        self.settings.names.append("changed")
    """,
)

SHARED = Body(
    "Shared",
    work="self.point = common.Point(1, {'s', 't'}); self.pair = common.Pair(self.point, [self.point])",
    end="self.same_object = self.pair.first is self.pair.second[0]; self.point.x += 1",
)

MUTATED = Body(
    "Mutated",
    start="self.items = [1]; self.table = {'a': [1]}; self.alias = self.items; self.gone = 1",
    work="self.items.append(2); self.table['a'].append(2); self.alias.append(3); del self.table; self.gone = None",
    end="self.items += [4]; self.has = hasattr(self, 'table'), getattr(self, 'nothing', 'default')",
)

OWN_STATE = Body(
    "OwnState",
    head="""
        class Money:
            def __init__(self, cents):
                self.cents = cents

            def __eq__(self, other):
                return isinstance(other, Money) and self.cents == other.cents

            def __hash__(self):
                return hash(self.cents)

            def __getstate__(self):
                return {"cents": self.cents}

            def __setstate__(self, state):
                self.cents = state["cents"]


        class Lazy(dict):
            extra = 1


        class Broken(Exception):
            def __init__(self, code):
                super().__init__(f"code {code}")
                self.code = code

            def __reduce__(self):
                return Broken, (self.code,)
    """,
    work="self.money = {Money(1), Money(2)}; self.lazy = Lazy(a=1); self.broken = Broken(4); self.lazy.extra = {2}",
    end="self.total = sum(m.cents for m in self.money), self.broken.code",
)

SPARSE = Body(
    "Sparse",
    head="from scipy import sparse, stats",
    work="self.sparse = sparse.eye(3, format='csr'); self.normal = stats.norm(loc=1.0).mean()",
    end="self.dense = self.sparse.toarray()",
)

SEEDED = Body(
    "Seeded",
    head="import random\n\nimport numpy as np",
    work="""
        random.seed(5)
        np.random.seed(5)
        self.drawn = random.random(), np.random.rand(2), random.sample(range(100), 5)
    """,
)

BODIES = (PLAIN, NUMPY, PANDAS, SKLEARN, BIG, LOCAL, SHARED, MUTATED, OWN_STATE, SPARSE, SEEDED)

ROWS = (
    *(Row(graphs.LINEAR, body) for body in BODIES),
    Row(foreachs.FOREACH, replace(PLAIN, join="self.names = inputs[1].names", end="self.again = self.names")),
    Row(foreachs.FOREACH, replace(LOCAL, join="self.merge_artifacts(inputs, include=['settings'])", end="pass")),
    Row(graphs.BRANCH, replace(NUMPY, join="self.merge_artifacts(inputs, exclude=['side'])")),
    Row(
        graphs.BRANCH,
        replace(LOCAL, join="self.plain = inputs.right.plain; self.colour = inputs[0].colour", end="pass"),
    ),
)
