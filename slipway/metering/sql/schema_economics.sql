-- What deployments cost to run beside what they earned: what `slipway economics`, the report and plots read.

-- One row per GPU class ('': none was named) and instant from which the price of an hour is in force, in pico-units.
CREATE TABLE IF NOT EXISTS gpu_price (
    gpu_class VARCHAR, effective_from TIMESTAMPTZ, effective_to TIMESTAMPTZ, currency VARCHAR, pico_per_hour BIGINT
);

-- One row per hour, deployment and currency in which anything ran or was used.
-- gpu_cost: GPU-seconds at the price in force when the hour begins; of all GPUs that ran, idle ones too. An hour's price
-- by its seconds need be no whole number of pico-units: the sum of a class is rounded to one.
-- idle_gpu_seconds: those of an hour without any request. unpriced_gpu_seconds: those of a class without a price.
-- margin: earned - gpu_cost; NULL where a part of the cost is not known. What is earned in one currency and costs in
-- another stands in two rows.
CREATE VIEW IF NOT EXISTS economics_hourly AS
WITH asked AS (
    SELECT hour, deployment, sum(requests)::BIGINT AS requests FROM usage_hourly WHERE deployment <> '' GROUP BY ALL
),
ran AS (
    SELECT
        replicas_hourly.hour, replicas_hourly.deployment, gpu_price.currency, replica_seconds,
        (gpu_seconds * 1000)::HUGEINT AS gpu_ms, pico_per_hour, coalesce(requests, 0) = 0 AS idle
    FROM replicas_hourly
    LEFT JOIN gpu_price
        ON gpu_price.gpu_class = coalesce(replicas_hourly.gpu_class, '')
        AND replicas_hourly.hour >= effective_from AND replicas_hourly.hour < coalesce(effective_to, 'infinity'::TIMESTAMPTZ)
    LEFT JOIN asked ON asked.hour = replicas_hourly.hour AND asked.deployment = replicas_hourly.deployment
),
both_sides AS (
    SELECT
        hour, deployment, currency, requests, input_uncached + input_cached AS input_tokens, output AS output_tokens,
        cost AS earned, 0 AS replica_seconds, 0 AS gpu_ms, 0 AS idle_gpu_ms, 0 AS unpriced_gpu_ms, 0 AS gpu_pico
    FROM usage_hourly
    WHERE deployment <> ''
    UNION ALL
    SELECT
        hour, deployment, CASE WHEN gpu_ms > 0 THEN currency END, 0, 0, 0, NULL, replica_seconds, gpu_ms,
        CASE WHEN idle THEN gpu_ms ELSE 0 END, CASE WHEN pico_per_hour IS NULL THEN gpu_ms ELSE 0 END,
        coalesce((gpu_ms * pico_per_hour + 1800000) // 3600000, 0)
    FROM ran
),
summed AS (
    SELECT
        hour, deployment, currency, sum(requests)::BIGINT AS requests, sum(input_tokens)::BIGINT AS input_tokens,
        sum(output_tokens)::BIGINT AS output_tokens, sum(replica_seconds)::BIGINT AS replica_seconds,
        (sum(gpu_ms)::DECIMAL(38, 0) * 0.001::DECIMAL(4, 3))::DECIMAL(38, 3) AS gpu_seconds,
        (sum(idle_gpu_ms)::DECIMAL(38, 0) * 0.001::DECIMAL(4, 3))::DECIMAL(38, 3) AS idle_gpu_seconds,
        (sum(unpriced_gpu_ms)::DECIMAL(38, 0) * 0.001::DECIMAL(4, 3))::DECIMAL(38, 3) AS unpriced_gpu_seconds,
        sum(earned)::DECIMAL(38, 12) AS earned,
        (sum(gpu_pico)::DECIMAL(38, 0) * 0.000000000001::DECIMAL(12, 12))::DECIMAL(38, 12) AS gpu_cost
    FROM both_sides
    GROUP BY hour, deployment, currency
)
SELECT
    *, CASE WHEN unpriced_gpu_seconds = 0 AND currency IS NOT NULL THEN coalesce(earned, 0) - gpu_cost END AS margin
FROM summed;
