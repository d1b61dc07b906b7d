"""What trained networks remember: their parameters run again, the response to the past, what is left in residuals."""
