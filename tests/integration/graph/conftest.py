"""Real graph stores."""

import pytest

pytest.register_assert_rewrite("contracts.graph_contract", "contracts.store_contract")
