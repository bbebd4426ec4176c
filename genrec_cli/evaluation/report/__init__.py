"""`report.html`: what a bench found, as one page that needs no other file."""
