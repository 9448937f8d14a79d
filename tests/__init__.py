"""Tests; packages where a folder can be run or imported by others."""
