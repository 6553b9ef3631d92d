import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity('votes')
export class Vote {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  voter!: string;

  @Column('text')
  target!: string;
}
