"""How sync and async callers drive the core. asyncio and threads live here and nowhere below the faces."""
