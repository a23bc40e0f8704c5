-- One row per month (UTC) with anything that is billed.
SELECT DISTINCT strftime(hour AT TIME ZONE 'UTC', '%Y-%m') AS month FROM cost_hourly ORDER BY month;
