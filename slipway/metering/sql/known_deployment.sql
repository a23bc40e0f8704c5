-- One row per deployment that was ever metered.
SELECT DISTINCT deployment FROM deployment_hourly WHERE deployment <> '';
