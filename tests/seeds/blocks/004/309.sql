-- Common query patterns
CREATE INDEX ix_events_tenant_workflow ON events(tenant_id, workflow_id);
CREATE INDEX ix_events_tenant_occurred ON events(tenant_id, occurred_at);
CREATE INDEX ix_incidents_tenant_status ON incidents(tenant_id, status);
CREATE INDEX ix_actions_incident_status ON actions(incident_id, status);
