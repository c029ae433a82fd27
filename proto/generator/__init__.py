"""The parts of protogen.py: declaration (reading and checking), and one module for each output."""
