"""What is taken for a secret, and what only looks like one; and where in a notebook it is found."""

import base64
import hashlib
import random

import nbformat
import pytest
from check_projects import TOKEN
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kit.checks.secret_shapes import secret_kinds

MIXED = "a1B2c3D4e5F6g7H8"  # put together below, so that no scanner takes the tokens for real ones
HEX = hashlib.sha256(b"x").hexdigest()

SECRETS = [
    "AWS_SESSION_TOKEN=" + MIXED * 10,
    "gh" + "p_" + MIXED + "i9J0",
    "xa" + "pp-1-" + MIXED,
    "sk" + "-proj-" + "abcdEFGH_" + MIXED,
    "sk" + "-or-v1-" + HEX,
    "sk" + "-" + HEX[:32],
    "gs" + "k_" + MIXED * 3,
    "r" + "8_" + MIXED * 3,
    "pc" + "sk_" + MIXED * 3,
    "1234567890:" + "AA" + MIXED * 2 + "x",
    HEX[:32] + "-us" + "12",
    "do" + "p_v1_" + HEX,
    "redis://:" + MIXED + "@cache:6379/0",
    "DB_PASSWORD=S3cr3tPw9kq",
    "export WANDB_API_KEY=" + HEX[:40],
    "os.environ['DB_PASSWORD'] = 'S3cr3tPw9kq'",
    "os.getenv('API_KEY', '" + MIXED + "')",
    "x-api-key: " + MIXED,
    "token: '" + MIXED * 2 + "'",
    "password=hunter2",
    "password = 'correcthorsebattery'",
]
INNOCENT = [
    "postgresql://postgres:postgres@localhost/x",
    "postgresql://user:password@localhost:5432/db",
    "https://anna:Tr0ub4dor@example.com/",
    "api_key='api_key_1'",
    'password="PASSWORD1"',
    "password='test1234'",
    "api_key='fake_key_12345'",
    "api_key='not-a-real-key-1'",
    "api_key='INSERT_KEY_HERE_1'",
    "password='ssm:/prod/db/password1'",
    "password=getpass.getpass('Password 1:')",
    "KeyError: 'DB_PASSWORD'",
    "'next_token': '" + MIXED * 2 + "'",
    "max_tokens=1024, eos_token_id=50256",
    "hf_transformers_tokenizer_fast_model_files",
    "sk-estimator-id-1234567890",
    "commit " + HEX[:40],
    "git+https://h/a/b@" + HEX[:40],
    "columns: ['password_1', 'api_key_2']",
    "AWS_SECRET_ACCESS_KEY=****************3f2a",
]


@pytest.mark.parametrize("text", SECRETS)
def test_tokens_and_passwords_of_every_kind_are_known(text):
    assert len(secret_kinds(text)) >= 1


@pytest.mark.parametrize("text", INNOCENT)
def test_hashes_placeholders_and_names_are_left_alone(text):
    assert secret_kinds(text) == ()


def test_pictures_and_random_bytes_hold_no_secret():
    chance = random.Random(1)  # noqa: S311
    assert all(secret_kinds(base64.b64encode(chance.randbytes(100_000)).decode()) == () for _ in range(5))


OUTPUTS = {
    "html": new_output("display_data", {"text/html": "<pre>{&#39;password&#39;: &#39;S3cr3tPw9kq&#39;}</pre>"}),
    "json": new_output("display_data", {"application/json": {"deep": {"token": TOKEN}}}),
    "traceback": new_output("error", ename="E", evalue="", traceback=["x", f"key=\x1b[32m{TOKEN}\x1b[0m"]),
    "value of an error": new_output("error", ename="E", evalue=TOKEN, traceback=[]),
    "metadata of an output": new_output("display_data", {"text/plain": "x"}, metadata={"key": TOKEN}),
}


@pytest.mark.parametrize("where", OUTPUTS)
def test_a_secret_is_found_in_outputs_of_every_kind(found, tmp_path, where):
    path = tmp_path / "project/notebooks/a.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("x", outputs=[OUTPUTS[where]])]), path)
    ((*_, message),) = found({}, "secrets")
    assert message.endswith(("in the output of cell 1", "in the metadata of cell 1"))
