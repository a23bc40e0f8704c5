-- Which of n shards has the rows of a name (an organisation, a deployment). By its text alone, so that it is the same
-- in every version of DuckDB and on every machine.
CREATE OR REPLACE TEMP MACRO shard_of(name, n) AS (md5_number_lower(name::VARCHAR) % n)::INTEGER;
