-- A month of hours as a warehouse has it: a row of latency for each hour and deployment, and one of usage by one of seven
-- organisations. In: $first, $hours, $deployments. Statements are told apart by an empty line.
INSERT INTO usage_hourly BY NAME
SELECT
    $first::TIMESTAMPTZ + INTERVAL 1 HOUR * (n // $deployments) AS hour, 'org-' || n % 7 AS org, 'ann' AS "user",
    'key-' || n % 50 AS api_key, 'chat-' || n % $deployments AS deployment, 'chat' AS model,
    'standard@1' AS price_version,
    1000 + n % 13 AS requests, 1000 AS successes, 0 AS client_errors, 0 AS server_errors, 0 AS limited, 0 AS cancelled,
    n AS input_uncached, n // 3 AS input_cached, n % 977 AS output, 0.125::DECIMAL(38, 12) AS cost, 'USD' AS currency
FROM range($hours * $deployments) AS numbers(n);

INSERT INTO latency_hist_hourly
SELECT
    $first::TIMESTAMPTZ + INTERVAL 1 HOUR * (n // $deployments), 'chat-' || n % $deployments, 'ttft', 200 + n % 90, 1000
FROM range($hours * $deployments) AS numbers(n);

INSERT INTO deployment_hourly BY NAME
SELECT
    $first::TIMESTAMPTZ + INTERVAL 1 HOUR * (n // $deployments) AS hour, 'chat-' || n % $deployments AS deployment,
    'chat' AS model, 1000 AS requests, 1000 AS successes, 1000 AS ttft_count, 80.5 AS ttft_p50_ms, 250.25 AS ttft_p95_ms
FROM range($hours * $deployments) AS numbers(n);

INSERT INTO rollup_run BY NAME
SELECT $first::TIMESTAMPTZ + INTERVAL 1 HOUR * n AS hour, true AS final FROM range($hours) AS numbers(n);
