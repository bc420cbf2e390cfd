"""How the shipped models were made: from installable packages to data and weights."""
