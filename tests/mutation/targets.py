"""The modules whose tests the mutants check, and the tests that must detect each mutant.

The quickest tests come first: a mutant ends at the first test that fails."""

from collections.abc import Mapping

TARGETS: Mapping[str, tuple[str, ...]] = {
    # The fold and the decisions about one offer
    "domain/offers/offer.py": ("tests/domain/offers/test_offer.py", "tests/domain/runs/test_batch_reconciliation.py"),
    # Reconciliation
    "domain/runs/batch_reconciliation.py": ("tests/domain/runs/test_batch_reconciliation.py",),
    "domain/runs/file_reconciliation.py": (
        "tests/domain/runs/test_file_reconciliation.py",
        "tests/domain/runs/test_file_reconciliation_laws.py",
    ),
    "domain/runs/undo.py": ("tests/domain/runs/test_undo.py",),
    # Redemption windows
    "domain/redemption/window.py": ("tests/domain/redemption/test_window.py",),
    "domain/redemption/flight.py": ("tests/domain/redemption/test_flight.py",),
    "domain/redemption/activation.py": (
        "tests/domain/redemption/test_activation.py",
        "tests/domain/redemption/test_redemption.py",
    ),
    "domain/redemption/redemption.py": ("tests/domain/redemption/test_redemption.py",),
    # The inventory as of a position
    "projections/offers/offer_periods.py": (
        "tests/projections/offers/test_offer_periods.py",
        "tests/projections/maintenance/test_rebuild_laws.py",
        "tests/projections/redemption/test_windows_as_of.py",
        "tests/projections/offers/test_inventory_as_of.py",
    ),
    "projections/offers/inventory_as_of.py": (
        "tests/projections/offers/test_inventory_as_of.py::test_past_filters_by_ids_and_status_apply_together",
        "tests/projections/offers/test_inventory_as_of.py::test_past_list_starts_with_the_smallest_index",
        "tests/projections/offers/test_inventory_as_of.py",
    ),
    "projections/offers/offer_as_of.py": ("tests/projections/offers/test_offer_periods.py",),
    "projections/offers/status_counts.py": (
        "tests/projections/offers/test_counts_and_settings_as_of.py",
        "tests/projections/maintenance/test_rebuild.py::test_projection_follows_the_projections_that_it_reads",
        "tests/projections/offers/test_inventory_as_of.py",
    ),
    # Windows as of a time
    "projections/redemption/redemption_windows.py": (
        "tests/projections/redemption/test_redemption_windows.py",
        "tests/projections/redemption/test_windows_as_of.py",
    ),
    "projections/redemption/windows_as_of.py": ("tests/projections/redemption/test_windows_as_of.py",),
}
