-- One row per organisation that was ever metered.
SELECT DISTINCT org FROM usage_hourly;
