import pytest

pytest.register_assert_rewrite("tests.faults.sameness")  # its assertions say what differs
