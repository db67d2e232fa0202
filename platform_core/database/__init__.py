"""The platform's own database: tables of small rows, how it is opened, how it is brought up to date."""
