"""Shows that the tool makes mutants that no test once detected, and that a test detects each of them now."""

import sys
from typing import NamedTuple

from tests.mutation.mutants import Mutant, MutantId, read_module
from tests.mutation.trial import Job, Trial, run_mutants

AS_OF, TESTS_AS_OF = "projections/offers/inventory_as_of.py", "tests/projections/offers/test_inventory_as_of.py"
BATCH, REDEMPTION = "domain/runs/batch_reconciliation.py", "domain/redemption/redemption.py"
FILTERS = f"{TESTS_AS_OF}::test_past_filters_by_ids_and_status_apply_together"
PLANS = f"{TESTS_AS_OF}::test_few_past_offers_read_their_own_rare_periods"
REVERSALS = (
    "tests/domain/redemption/test_redemption.py::test_redemption_has_at_most_1000_reversals_and_accepts_their_repeats"
)


class Example(NamedTuple):
    """A mutant, and the test that detects it."""

    mutant: MutantId
    test: str


EXAMPLES = (
    Example(
        MutantId(AS_OF, "_LAST_UNTIL", "sql", "R BY w.redeemable_until [DESC -> ASC] LIMIT 1)"),
        f"{TESTS_AS_OF}::test_past_offer_is_honoured_until_the_last_known_end",
    ),
    Example(MutantId(AS_OF, "_EVER_HAD_STATUS", "sql", "[EXISTS -> NOT EXISTS] ( SELECT 1 FROM"), FILTERS),
    *(
        Example(MutantId(AS_OF, "_EVER_HAD_STATUS", "sql", change), PLANS)
        for change in (
            "e.offer_id = i.offer_id [AND -> OR] e.status = ? AND e.stat",
            "fer_id AND e.status = ? [AND -> OR] e.status <> 'active' AN",
            "ND e.status <> 'active' [AND -> OR] e.commit_id <=",
        )
    ),
    Example(
        MutantId(
            BATCH,
            "_merge_copies",
            "function",
            "all((_have_same_content(first, other) for other in others))"
            " -> any((_have_same_content(first, other) for other in others))",
        ),
        "tests/domain/runs/test_batch_reconciliation.py::test_one_different_copy_of_three_fails_the_offer",
    ),
    Example(MutantId(REDEMPTION, "MAX_REVERSALS", "constant", "1000 -> 1001"), REVERSALS),
    Example(MutantId(REDEMPTION, "MAX_REVERSALS", "constant", "1000 -> 999"), REVERSALS),
)


UNDETECTED = Example(EXAMPLES[2].mutant, FILTERS)
"""It reads more periods than necessary, which changes no result. The tool must report it as a survivor."""


def run_examples() -> list[Trial]:
    """Runs the test of each example on its mutant, after all these tests on the unchanged modules."""
    examples = [*EXAMPLES, UNDETECTED]
    modules = {path: read_module(path) for path in {example.mutant.module for example in examples}}
    mutants: dict[MutantId, Mutant] = {mutant.id: mutant for module in modules.values() for mutant in module.mutants}
    jobs = [Job(modules[example.mutant.module], mutants[example.mutant], [example.test]) for example in examples]
    return run_mutants(jobs, sorted({example.test for example in examples}), at_once=2)


def survivors() -> list[Example]:
    """Returns the examples whose test does not detect the mutant."""
    return [
        Example(trial.job.mutant.id, trial.job.tests[0])
        for trial in run_examples()
        if trial.job.mutant and trial.killer is None
    ]


if __name__ == "__main__":
    if (found := survivors()) != [UNDETECTED]:
        sys.exit(f"expected: {[UNDETECTED]}\nsurvived: {found}")
