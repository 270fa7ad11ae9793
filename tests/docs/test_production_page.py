"""Can what the page about production tells people to ask be asked?"""

import re
from pathlib import Path

import psycopg
import pytest

from api.service import Service
from api.settings import Settings
from tests.support.engine import only_postgres

PAGE = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
QUESTIONS = [
    f"{statement};"
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for statement in block.split(";\n")
    if statement.startswith("SELECT")
]


def test_there_are_questions_on_it() -> None:
    assert len(QUESTIONS) == 4


@only_postgres
@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("question", QUESTIONS)
def test_postgresql_understands_what_is_to_be_asked(settings: Settings, question: str) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(question.encode())


@only_postgres
def test_the_newest_seal_can_be_kept_elsewhere(service: Service) -> None:
    (told,) = re.findall(r"\(`(SELECT encode[^`]*)`", PAGE)
    with service.ledger.recorder.read() as tx:
        assert len(tx.execute(told).fetchone()[0]) == 64
