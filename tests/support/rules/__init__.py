"""What every test has to keep, whatever it is about. Imports no other room."""
