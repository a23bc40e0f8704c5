"""Alerts: what is wrong is told once to those who want to know, and once more when it is over.

Belongs here: alerts as values, who is told when, the formats, and sending.
Does not: finding out what is wrong (slipway.control.alerting, sensors.alerts).
"""
