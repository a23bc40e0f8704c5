-- Which of n shards has the rows of a name (an organisation, a deployment). By its text alone, so that it is the same
-- in every version of DuckDB and on every machine.
CREATE OR REPLACE TEMP MACRO shard_of(name, n) AS (md5_number_lower(name) % n)::INTEGER;

-- Which of n buckets has all copies of a request: by the last digits of its id, which are random in every UUIDv7.
CREATE OR REPLACE TEMP MACRO bucket_of(id, n) AS ('0x' || right(id::VARCHAR, 4))::INTEGER % n;
