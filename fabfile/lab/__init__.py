"""The lab: real hosts, PostgreSQL and an S3 server on one Linux machine, with faults on demand."""
