"""Firmware for devices: its sources, and files that are built already."""
