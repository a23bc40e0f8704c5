-- One row per key that more than one row of a table has, in the asked hours.
WITH asked AS (SELECT unnest($hours::TIMESTAMPTZ[]) AS hour)
SELECT 'deployment_hourly' AS "table", [hour::VARCHAR, deployment, model]::VARCHAR AS key, count(*) AS n
FROM deployment_hourly SEMI JOIN asked USING (hour) GROUP BY hour, deployment, model HAVING n > 1
UNION ALL
SELECT 'latency_hist_hourly', [hour::VARCHAR, deployment, metric, bucket::VARCHAR]::VARCHAR, count(*) AS n
FROM latency_hist_hourly SEMI JOIN asked USING (hour) GROUP BY hour, deployment, metric, bucket HAVING n > 1
UNION ALL
SELECT 'latency_by_key_hourly', [hour::VARCHAR, org, api_key, deployment]::VARCHAR, count(*) AS n
FROM latency_by_key_hourly SEMI JOIN asked USING (hour) GROUP BY hour, org, api_key, deployment HAVING n > 1
UNION ALL
SELECT 'latency_hist_daily', [day::VARCHAR, deployment, metric, bucket::VARCHAR]::VARCHAR, count(*) AS n
FROM latency_hist_daily WHERE day IN (SELECT date_trunc('day', hour) FROM asked)
GROUP BY day, deployment, metric, bucket HAVING n > 1
UNION ALL
SELECT 'latency_hist_monthly', [month::VARCHAR, deployment, metric, bucket::VARCHAR]::VARCHAR, count(*) AS n
FROM latency_hist_monthly WHERE month IN (SELECT date_trunc('month', hour) FROM asked)
GROUP BY month, deployment, metric, bucket HAVING n > 1
UNION ALL
SELECT 'usage_hourly', [hour::VARCHAR, org, "user", api_key, deployment, model, price_version]::VARCHAR, count(*) AS n
FROM usage_hourly SEMI JOIN asked USING (hour)
GROUP BY hour, org, "user", api_key, deployment, model, price_version HAVING n > 1
UNION ALL
SELECT 'replicas_hourly', [hour::VARCHAR, deployment, gpu_class]::VARCHAR, count(*) AS n
FROM replicas_hourly SEMI JOIN asked USING (hour) GROUP BY hour, deployment, gpu_class HAVING n > 1
UNION ALL
SELECT 'rollup_run', hour::VARCHAR, count(*) AS n
FROM rollup_run SEMI JOIN asked USING (hour) GROUP BY hour HAVING n > 1
UNION ALL
SELECT 'cost_rated', [hour::VARCHAR, org, "user", api_key, deployment, model, price_version, unit, tier::VARCHAR]::VARCHAR, count(*) AS n
FROM cost_rated SEMI JOIN asked USING (hour)
GROUP BY hour, org, "user", api_key, deployment, model, price_version, unit, tier HAVING n > 1
UNION ALL
SELECT 'price', [deployment, org, model, effective_from::VARCHAR]::VARCHAR, count(*) AS n
FROM price GROUP BY deployment, org, model, effective_from HAVING n > 1
UNION ALL
SELECT 'gateway_hourly', [hour::VARCHAR, replica, start]::VARCHAR, count(*) AS n
FROM gateway_hourly SEMI JOIN asked USING (hour) GROUP BY hour, replica, start HAVING n > 1
UNION ALL
SELECT 'gpu_price', [gpu_class, effective_from::VARCHAR]::VARCHAR, count(*) AS n
FROM gpu_price GROUP BY gpu_class, effective_from HAVING n > 1
UNION ALL
SELECT 'closed_month', month, count(*) AS n
FROM closed_month GROUP BY month HAVING n > 1
UNION ALL
SELECT
    'closed_line', [month, org, hour::VARCHAR, deployment, model, unit, price_version, tier::VARCHAR, price_pico::VARCHAR,
    currency]::VARCHAR, count(*) AS n
FROM closed_line SEMI JOIN asked USING (hour)
GROUP BY month, org, hour, deployment, model, unit, price_version, tier, price_pico, currency HAVING n > 1
UNION ALL
SELECT
    'usage_adjustment', [number::VARCHAR, month, org, hour::VARCHAR, deployment, model, unit, price_version, tier::VARCHAR,
    price_pico::VARCHAR, currency]::VARCHAR, count(*) AS n
FROM usage_adjustment SEMI JOIN asked USING (hour)
GROUP BY number, month, org, hour, deployment, model, unit, price_version, tier, price_pico, currency HAVING n > 1
UNION ALL
SELECT 'invoice', invoice, count(*) AS n
FROM invoice GROUP BY invoice HAVING n > 1
UNION ALL
SELECT 'invoice_line', [invoice, number::VARCHAR]::VARCHAR, count(*) AS n
FROM invoice_line GROUP BY invoice, number HAVING n > 1
ORDER BY ALL;
