-- The warehouse's tables. No primary keys: they make a rollup 18x slower and the file 9x larger; checks
-- look after uniqueness. All instants are UTC; `hour` is the start of the hour of a request's UUIDv7.

-- One row per hour, deployment and requested model name (an adapter has its own); both are empty for requests
-- for models that nothing serves, whatever name they gave.
-- Quantiles are exact within the row and never averaged over rows: days come from latency_hist_hourly.
CREATE TABLE IF NOT EXISTS deployment_hourly (
    hour TIMESTAMPTZ, deployment VARCHAR, model VARCHAR,
    requests BIGINT, successes BIGINT, client_errors BIGINT, server_errors BIGINT, limited BIGINT, cancelled BIGINT,
    cold_starts BIGINT,
    input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT,
    ttft_count BIGINT, ttft_mean_ms DOUBLE, ttft_p50_ms DOUBLE, ttft_p90_ms DOUBLE, ttft_p95_ms DOUBLE, ttft_p99_ms DOUBLE,
    itl_count BIGINT, itl_mean_ms DOUBLE, itl_p50_ms DOUBLE, itl_p90_ms DOUBLE, itl_p95_ms DOUBLE, itl_p99_ms DOUBLE,
    requests_per_s DOUBLE, output_tokens_per_s DOUBLE,
    run_id VARCHAR,
    duration_mean_ms DOUBLE, duration_p50_ms DOUBLE, duration_p90_ms DOUBLE, duration_p95_ms DOUBLE, duration_p99_ms DOUBLE,
    input_audio_ms BIGINT DEFAULT 0, output_audio_ms BIGINT DEFAULT 0, characters BIGINT DEFAULT 0,
    documents BIGINT DEFAULT 0, searches BIGINT DEFAULT 0
);
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_mean_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_p50_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_p90_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_p95_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS duration_p99_ms DOUBLE;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS input_audio_ms BIGINT DEFAULT 0;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS output_audio_ms BIGINT DEFAULT 0;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS characters BIGINT DEFAULT 0;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS documents BIGINT DEFAULT 0;
ALTER TABLE deployment_hourly ADD COLUMN IF NOT EXISTS searches BIGINT DEFAULT 0;

-- One row per hour, deployment, metric ('ttft', 'itl', 'duration', 'queue', 'hold', 'cold_detect' and the other phases)
-- and bucket with n values x in milliseconds; bucket = ceil(ln(x) / ln(1.0202)), so that a bucket's middle is within
-- 1.01% of everything in it.
CREATE TABLE IF NOT EXISTS latency_hist_hourly (
    hour TIMESTAMPTZ, deployment VARCHAR, metric VARCHAR, bucket SMALLINT, n BIGINT
);

-- One row per hour, org, user, API key, deployment, model and price version: an hour in which the price
-- changes has two rows of an otherwise equal key. Deployment and model are empty as above. Tokens and units are the
-- billed ones; price_version, cost and currency are NULL where no price was in force. bounded: requests whose tokens are
-- not the engine's count alone. task: the deployment's; NULL in rows of versions that did not keep it.
CREATE TABLE IF NOT EXISTS usage_hourly (
    hour TIMESTAMPTZ, org VARCHAR, "user" VARCHAR, api_key VARCHAR, deployment VARCHAR, model VARCHAR,
    price_version VARCHAR,
    requests BIGINT, successes BIGINT, client_errors BIGINT, server_errors BIGINT, limited BIGINT, cancelled BIGINT,
    input_uncached BIGINT, input_cached BIGINT, output BIGINT,
    cost DECIMAL(38, 12), currency VARCHAR,
    bounded BIGINT,
    input_audio_ms BIGINT DEFAULT 0, output_audio_ms BIGINT DEFAULT 0, characters BIGINT DEFAULT 0,
    documents BIGINT DEFAULT 0, searches BIGINT DEFAULT 0,
    task VARCHAR
);
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS bounded BIGINT;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS input_audio_ms BIGINT DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS output_audio_ms BIGINT DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS characters BIGINT DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS documents BIGINT DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS searches BIGINT DEFAULT 0;
ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS task VARCHAR;

-- One row per deployment, org (NULL: every org without its own) and instant from which the price is in force.
-- Prices are micro-units of the currency per 1M tokens, which is the same as pico-units per token; those of units
-- are pico-units per millisecond of audio, character, document and search, NULL where there is no price.
CREATE TABLE IF NOT EXISTS price (
    deployment VARCHAR, org VARCHAR, effective_from TIMESTAMPTZ, effective_to TIMESTAMPTZ, version VARCHAR,
    input BIGINT, cached BIGINT, output BIGINT,
    currency VARCHAR, bill_failed VARCHAR, book VARCHAR, assigned_from TIMESTAMPTZ,
    input_audio BIGINT, output_audio BIGINT, characters BIGINT, documents BIGINT, searches BIGINT
);
ALTER TABLE price ADD COLUMN IF NOT EXISTS input_audio BIGINT;
ALTER TABLE price ADD COLUMN IF NOT EXISTS output_audio BIGINT;
ALTER TABLE price ADD COLUMN IF NOT EXISTS characters BIGINT;
ALTER TABLE price ADD COLUMN IF NOT EXISTS documents BIGINT;
ALTER TABLE price ADD COLUMN IF NOT EXISTS searches BIGINT;

-- One row per hour that was rolled up: the last run, what it read, and the sums that checks compare.
-- rows_in counts readable events with all their copies; unpriced those of a deployment that used what has no
-- price in force; unbilled_* is what bill_failed left out.
CREATE TABLE IF NOT EXISTS rollup_run (
    hour TIMESTAMPTZ, run_id VARCHAR, input_fingerprint VARCHAR, objects BIGINT, rows_in BIGINT, duplicates BIGINT,
    conflicts BIGINT, unpriced BIGINT, quarantined BIGINT,
    final BOOLEAN, rolled_up_at TIMESTAMPTZ,
    input_tokens BIGINT, cached_tokens BIGINT, output_tokens BIGINT,
    unbilled_input_tokens BIGINT, unbilled_cached_tokens BIGINT, unbilled_output_tokens BIGINT,
    input_audio_ms BIGINT DEFAULT 0, output_audio_ms BIGINT DEFAULT 0, characters BIGINT DEFAULT 0,
    documents BIGINT DEFAULT 0, searches BIGINT DEFAULT 0,
    unbilled_input_audio_ms BIGINT DEFAULT 0, unbilled_output_audio_ms BIGINT DEFAULT 0,
    unbilled_characters BIGINT DEFAULT 0, unbilled_documents BIGINT DEFAULT 0, unbilled_searches BIGINT DEFAULT 0
);
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS input_audio_ms BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS output_audio_ms BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS characters BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS documents BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS searches BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS unbilled_input_audio_ms BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS unbilled_output_audio_ms BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS unbilled_characters BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS unbilled_documents BIGINT DEFAULT 0;
ALTER TABLE rollup_run ADD COLUMN IF NOT EXISTS unbilled_searches BIGINT DEFAULT 0;

-- One row per table, day and change since Parquet of that day was published.
CREATE TABLE IF NOT EXISTS unpublished_day (table_name VARCHAR, day DATE, mark UUID);

-- One row per line or whole object (line_number NULL) that could not be counted, and why.
CREATE TABLE IF NOT EXISTS quarantine (
    hour TIMESTAMPTZ, object VARCHAR, line_number BIGINT, reason VARCHAR, excerpt VARCHAR, run_id VARCHAR
);

-- One row per hour, deployment and GPU class (NULL: none was asked for) with ready replicas in the hour.
-- sampled_s: seconds of the hour that the samples stand for; below 3600 it was not looked at all the time.
CREATE TABLE IF NOT EXISTS replicas_hourly (
    hour TIMESTAMPTZ, deployment VARCHAR, gpu_class VARCHAR,
    replica_seconds BIGINT, gpu_seconds DECIMAL(18, 3), peak_replicas BIGINT, sampled_s INTEGER
);
