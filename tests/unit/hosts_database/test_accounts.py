"""MySQL's accounts: their rights, and how they are made."""

from database_role import accounts


def test_accounts_have_the_least_rights_that_their_work_needs() -> None:
    assert {account.name: account.grants for account in accounts.accounts("app")} == {
        "replication": ("REPLICATION SLAVE ON *.*",),
        "clone": ("BACKUP_ADMIN ON *.*",),
        "app_migrator": ("SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON `app`.*",),
        "app_writer": ("SELECT, INSERT, UPDATE, DELETE ON `app`.*",),
        "app_reader": ("SELECT ON `app`.*",),
    }


def test_every_account_needs_tls_and_comes_from_this_network() -> None:
    for account in accounts.accounts("app"):
        made = accounts.statements(account, network="10.20.0.0/16", password="it's\\secret")
        assert made[0] == f"CREATE USER IF NOT EXISTS '{account.name}'@'10.20.0.0/16' IDENTIFIED BY 'it\\'s\\\\secret' REQUIRE SSL"
        assert made[1:] == tuple(f"GRANT {grant} TO '{account.name}'@'10.20.0.0/16'" for grant in account.grants)
