"""The running department: servers, daily work, founding, retention, verification."""
