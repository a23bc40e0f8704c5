-- One row per day (then: per month), deployment, metric and bucket, for the days and months of the chunk's hours.
-- In: chunk_hour, latency_hist_hourly as it is now. Made anew as a whole, so that nothing is ever subtracted.
DELETE FROM latency_hist_daily WHERE day IN (SELECT date_trunc('day', hour) FROM chunk_hour);

INSERT INTO latency_hist_daily
SELECT date_trunc('day', hour) AS day, deployment, metric, bucket, sum(n)::BIGINT
FROM latency_hist_hourly
WHERE date_trunc('day', hour) IN (SELECT date_trunc('day', hour) FROM chunk_hour)
GROUP BY ALL;

DELETE FROM latency_hist_monthly WHERE month IN (SELECT date_trunc('month', hour) FROM chunk_hour);

INSERT INTO latency_hist_monthly
SELECT date_trunc('month', day) AS month, deployment, metric, bucket, sum(n)::BIGINT
FROM latency_hist_daily
WHERE date_trunc('month', day) IN (SELECT date_trunc('month', hour) FROM chunk_hour)
GROUP BY ALL;
