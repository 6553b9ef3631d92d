declare module '@prisma/client/runtime/*.mjs';
