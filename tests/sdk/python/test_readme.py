"""The README's own Python examples, run as they are written there but for the gateway's address."""

import pathlib
import re

import pytest

from conftest import GATEWAY

README = pathlib.Path(__file__).parents[3] / "README.md"
ADDRESS = "http://localhost:8080"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_there_is_an_example_for_each_sdk():
    assert [example.split("\n", 1)[0] for example in EXAMPLES] == ["from openai import OpenAI", "import anthropic"]
    assert all(ADDRESS in example for example in EXAMPLES)
    assert f'base_url="{ADDRESS}/v1"' in EXAMPLES[1], "the anthropic example has its /v1 too"


@pytest.mark.parametrize("example", EXAMPLES, ids=["openai", "anthropic"])
def test_an_example_prints_an_answer(example, capsys):
    exec(compile(example.replace(ADDRESS, GATEWAY), str(README), "exec"), {})
    assert capsys.readouterr().out.strip()
