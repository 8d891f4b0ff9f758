"""Where tenants' rows stand and how a transaction reaches them: three isolations behind one Protocol."""
