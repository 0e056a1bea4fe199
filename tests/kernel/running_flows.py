"""Flows that are run in a kernel: wide, odd in how they end, and two in one file."""

FLOW = """
    import os, time
    from pathlib import Path
    from metaflow import FlowSpec, Parameter, step

    class WideFlow(FlowSpec):
        bad = Parameter("bad", default=-1, type=int)
        my_name = Parameter("my_name", default="nobody")
        wait = Parameter("wait", default="")
        test_mode = Parameter("test_mode", default=0)

        @step
        def start(self):
            print("hello from start")
            self.depths = [1, 2, 3]
            self.next(self.fit, foreach="depths")

        @step
        def fit(self):
            print("fitting", self.input)
            if self.wait:
                Path(self.wait, f"{os.getpid()}").touch()
                time.sleep(600)
            if self.input == self.bad:
                raise ValueError(f"depth {self.input} is bad")
            self.score = self.input * 10
            self.next(self.join)

        @step
        def join(self, inputs):
            self.scores = [one.score for one in inputs]
            self.next(self.end)

        @step
        def end(self):
            print("done")

    if __name__ == "__main__":
        WideFlow()
"""

ENDS = """
    import ctypes, os, subprocess, sys, time
    from pathlib import Path
    from metaflow import Config, FlowSpec, IncludeFile, JSONType, Parameter, retry, step

    print("printed at import")

    class Base(FlowSpec):
        way = Parameter("way", default="")
        text_of = Parameter("text-of", default="")
        names = Parameter("names", default="a,b", separator=",")
        loud = Parameter("loud", default=False, type=bool)
        table = Parameter("table", default="{}", type=JSONType)
        note = IncludeFile("note", default=None)
        settings = Config("settings", default_value='{"rate": 1}')

    class EndsFlow(Base):
        @retry(times=1, minutes_between_retries=0)
        @step
        def start(self):
            if self.way == "again" and not Path(sys.argv[0]).with_suffix(".tried").exists():
                Path(sys.argv[0]).with_suffix(".tried").touch()
                raise ValueError("the first attempt")
            self.rate = self.settings.rate
            if self.way.startswith("words"):
                words = "Task is starting.|Foreach yields 7 child steps.|Task failed.|[KILLED BY ORCHESTRATOR]|"
                words += "Workflow failed.|2026-01-01 00:00:00.000 Terminating 1 active tasks...|"
                for word in (words + "Task finished successfully.").split("|"):
                    print(word, file=sys.stderr)
                    time.sleep(0.1)  # Metaflow reads one line at a time
                time.sleep(1)
                if self.way == "words and exit":
                    sys.exit(4)
            if self.way == "daemon":
                away = subprocess.Popen(["sleep", "600"], start_new_session=True)
                Path(self.text_of, f"{away.pid}").touch()
                time.sleep(600)
            self.next(self.end)

        @step
        def end(self):
            if self.way == "exit":
                os._exit(4)
            if self.way == "crash":
                ctypes.string_at(0)
            if self.way == "group":
                raise ExceptionGroup("several", [ValueError("one")])
            print("10%", "20%", "30%", sep=chr(13))
            print("to stderr", file=sys.stderr)

    if __name__ == "__main__":
        EndsFlow()
"""

TWO = """
    from metaflow import FlowSpec, step

    class FirstFlow(FlowSpec):
        @step
        def start(self):
            self.next(self.end)
        @step
        def end(self):
            pass

    class OtherFlow(FirstFlow):
        pass

    if __name__ == "__main__":
        OtherFlow()
"""
