"""Of seeds that succeed or do not: how many do, and after how long."""
