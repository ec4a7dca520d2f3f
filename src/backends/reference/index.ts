/** The backend in plain TypeScript; see reference-backend.ts. */
export { createReferenceBackend } from './reference-backend.ts'
