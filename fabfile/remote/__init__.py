"""Hosts: the port, and the ways to reach one."""
