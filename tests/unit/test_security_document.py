"""`docs/security.md` tells every right with its role, and the true limits."""

import re
from pathlib import Path

from orchestrator.security.actors import ACTIONS
from orchestrator.services import audit, logins, tickets

TEXT = Path("docs/security.md").read_text()


def test_the_table_of_rights_is_the_code():
    told = {}
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            told |= dict.fromkeys(re.findall(r"`([\w.]+)`", cells[0]), cells[2])
    assert told == {action: role.name.lower() for action, role in ACTIONS.items()}


def test_the_numbers_are_the_codes():
    minutes = int(logins.WINDOW.total_seconds() / 60)
    assert f"After {logins.PER_ACCOUNT} wrong passwords" in TEXT
    assert f"{logins.PER_ADDRESS} from one address" in TEXT
    assert f"within {minutes} minutes" in TEXT
    assert f"within {int(tickets.LIFETIME.total_seconds())} seconds" in TEXT
    assert f"above {audit.MAX_VALUE:,} characters" in TEXT
