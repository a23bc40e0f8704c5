-- One row per {name} of the requests, and the shard of $shards that has its rows.
CREATE OR REPLACE TEMP TABLE placed AS
SELECT {name}, shard_of({name}, $shards) AS shard FROM (SELECT DISTINCT {name} FROM request);
