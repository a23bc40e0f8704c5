-- One row per object of the asked hours with lines that could not be counted, with one of the reasons.
SELECT hour, object, count(*) AS n, min(line_number) AS first_line, arg_min(reason, line_number) AS reason
FROM quarantine
WHERE hour IN (SELECT unnest($hours::TIMESTAMPTZ[]))
GROUP BY hour, object
ORDER BY hour, object;
